#!/usr/bin/perl
#
# An SMSC made of Perl's Net::SMPP, for one account; what it is told and what it tells: interop_peers.py.
#
#   perl net_smpp_smsc.pl SYSTEM_ID PASSWORD
#
# An old-style peer: its receipts have a text and no TLVs, and a refused submit_sm is answered with an empty
# message_id instead of no body.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use NetSmppPeer qw(encoded report run text_of udh_of);
use POSIX qw(strftime);

use constant { THROTTLED => 0x58, WRONG_SYSTEM_ID => 0x0F, WRONG_PASSWORD => 0x0E, RECEIPT => 4, READS => 1 };

my ($system_id, $password) = @ARGV;
my %MODES = (
    0x01 => ['bind_receiver',    READS, sub { shift->bind_receiver_resp(@_) }],
    0x02 => ['bind_transmitter', 0,     sub { shift->bind_transmitter_resp(@_) }],
    0x09 => ['bind_transceiver', READS, sub { shift->bind_transceiver_resp(@_) }],
);
my %sessions;    # by number: {number, socket, mode, reads, bound, unanswered: {sequence number: entry}}
my %readers;     # by number: [handle, what to call]; 0 is the listener
my @waiting;     # deliver_sm that no receiver has taken yet
my ($sessions_made, $messages_made, $throttle_next) = (0, 0xA0000000, 0);

sub bound { return grep { $_->{bound} } map { $sessions{$_} } sort { $a <=> $b } keys %sessions }

sub deliver {
    my ($entry) = @_;
    my ($reader) = grep { $_->{reads} } bound();
    return push @waiting, $entry if !$reader;
    my $number = $reader->{socket}->deliver_sm(%{ $entry->{fields} }, async => 1);
    $reader->{unanswered}{$number} = $entry;
}

sub receipt {
    my ($pdu, $id) = @_;
    my $now  = strftime '%y%m%d%H%M', gmtime;
    my $text = substr text_of($pdu), 0, 20;
    return {
        what   => 'receipt',
        id     => $id,
        fields => {
            esm_class        => RECEIPT,
            source_addr_ton  => $pdu->{dest_addr_ton},
            source_addr_npi  => $pdu->{dest_addr_npi},
            source_addr      => $pdu->{destination_addr},
            dest_addr_ton    => $pdu->{source_addr_ton},
            dest_addr_npi    => $pdu->{source_addr_npi},
            destination_addr => $pdu->{source_addr},
            data_coding      => 0,
            short_message    => encoded(
                {
                    text => "id:$id sub:001 dlvrd:001 submit date:$now done date:$now stat:DELIVRD err:000 text:$text",
                }
            ),
        },
    };
}

sub submitted {
    my ($session, $pdu) = @_;
    my $refused = $throttle_next > 0;
    $throttle_next-- if $refused;
    my $id = $refused ? undef : sprintf '%X', ++$messages_made;
    report('submit',
        session     => $session->{number},
        id          => $id,
        status      => $refused ? THROTTLED : 0,
        source      => [@$pdu{qw(source_addr_ton source_addr_npi source_addr)}],
        destination => [@$pdu{qw(dest_addr_ton dest_addr_npi destination_addr)}],
        text        => text_of($pdu),
        udh         => udh_of($pdu),
        map { $_ => $pdu->{$_} } qw(data_coding esm_class registered_delivery),
    );
    $session->{socket}->submit_sm_resp(
        seq        => $pdu->{seq},
        status     => $refused ? THROTTLED : 0,
        message_id => $refused ? '' : $id,
    );
    deliver(receipt($pdu, $id)) if !$refused && $pdu->{registered_delivery} & 1;
}

sub bind_session {
    my ($session, $pdu) = @_;
    my ($mode, $reads, $answer) = @{ $MODES{ $pdu->{cmd} } };
    my $status =
          $pdu->{system_id} ne $system_id ? WRONG_SYSTEM_ID
        : $pdu->{password} ne $password   ? WRONG_PASSWORD
        :                                   0;
    report('bind', session => $session->{number}, mode => $mode, system_id => $pdu->{system_id}, status => $status);
    $answer->($session->{socket}, seq => $pdu->{seq}, status => $status, system_id => 'net-smpp');
    return ended($session) if $status;
    @$session{qw(mode reads bound)} = ($mode, $reads, 1);
    deliver($_) for splice @waiting;
}

sub ended {
    my ($session) = @_;
    return if !delete $sessions{ $session->{number} };
    delete $readers{ $session->{number} };
    close $session->{socket};
    push @waiting, values %{ $session->{unanswered} };    # the next receiver gets them again
    report('closed', session => $session->{number});
}

sub read_from {
    my ($session) = @_;
    my $pdu = $session->{socket}->read_pdu or return ended($session);
    my $command = $pdu->{cmd};
    my %named   = (session => $session->{number});
    if    ($MODES{$command})     { bind_session($session, $pdu) }
    elsif ($command == 0x04)     { submitted($session, $pdu) }
    elsif ($command == 0x15)     { report('enquire_link', %named); $session->{socket}->enquire_link_resp(seq => $pdu->{seq}) }
    elsif ($command == 0x80000015) { report('enquire_link_resp', %named, status => $pdu->{status}) }
    elsif ($command == 0x80000006) { report('unbind_resp', %named, status => $pdu->{status}); ended($session) }
    elsif ($command == 0x80000005) {
        my $entry = delete $session->{unanswered}{ $pdu->{seq} };
        report('deliver_answered', what => $entry->{what}, id => $entry->{id}, status => $pdu->{status});
    }
    elsif ($command == 0x06) {
        report('unbind', %named, mode => $session->{mode});
        $session->{socket}->unbind_resp(seq => $pdu->{seq});
        ended($session);
    }
    else { report('error', %named, error => sprintf 'command %x', $command) }
}

sub accept_from {
    my ($listener) = @_;
    my $socket  = $listener->accept or return;
    my $session = { number => ++$sessions_made, socket => $socket, unanswered => {}, bound => 0 };
    $sessions{ $session->{number} } = $session;
    $readers{ $session->{number} } = [$socket, sub { read_from($session) }];
}

sub mo {
    my ($order) = @_;
    return {
        what   => 'mo',
        id     => defined $order->{text} ? $order->{text} : $order->{octets},
        fields => {
            source_addr_ton  => 1,
            source_addr_npi  => 1,
            source_addr      => $order->{from},
            dest_addr_ton    => 3,
            dest_addr_npi    => 0,
            destination_addr => $order->{to},
            data_coding      => $order->{data_coding} || 0,
            esm_class        => $order->{esm_class} || 0,
            short_message    => encoded($order),
        },
    };
}

my %ORDERS = (
    mo           => sub { deliver(mo($_[0])) },
    throttle     => sub { $throttle_next = $_[0]{count} },
    enquire_link => sub { $_->{socket}->enquire_link(async => 1) for bound() },
    unbind       => sub { $_->{socket}->unbind(async => 1) for bound() },
    cut          => sub { ended($_) for bound() },
);

my $listener = Net::SMPP->new_listen('127.0.0.1', port => 0, smpp_version => 0x34) or die "no listener: $!";
$readers{0} = [$listener, \&accept_from];
report('listening', port => $listener->sockport);
run(\%readers, sub { $ORDERS{ $_[0]{do} }->($_[0]) });
