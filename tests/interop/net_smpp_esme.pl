#!/usr/bin/perl
#
# An ESME made of Perl's Net::SMPP; what it is told and what it tells: interop_peers.py.
#
#   perl net_smpp_esme.pl PORT
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use NetSmppPeer qw(encoded report run text_of udh_of);
use Net::SMPP;

my $session = Net::SMPP->new_connect('127.0.0.1', port => $ARGV[0], smpp_version => 0x34) or die "no connection: $!";
my %readers = (session => [$session, \&read_from]);
report('connected');

sub ended {
    return if !delete $readers{session};
    close $session;
    report('closed');
}

sub delivered {
    my ($pdu) = @_;
    my ($state, $id) = @$pdu{qw(message_state receipted_message_id)};
    report('deliver_sm',
        source               => $pdu->{source_addr},
        destination          => $pdu->{destination_addr},
        esm_class            => $pdu->{esm_class},
        data_coding          => $pdu->{data_coding},
        text                 => text_of($pdu),
        udh                  => udh_of($pdu),
        message_state        => defined $state ? ord $state : undef,
        receipted_message_id => defined $id ? unpack('Z*', $id) : undef,
    );
    $session->deliver_sm_resp(seq => $pdu->{seq}, message_id => '');
}

sub read_from {
    my $pdu = $session->read_pdu or return ended();
    my $command = $pdu->{cmd};
    if    ($command == 0x05) { delivered($pdu) }
    elsif ($command == 0x15) { $session->enquire_link_resp(seq => $pdu->{seq}) }
    elsif ($command == 0x06) { report('unbind'); $session->unbind_resp(seq => $pdu->{seq}); ended() }
    elsif ($command & 0x80000000) {
        my %facts = map { $_ => $pdu->{$_} } grep { defined $pdu->{$_} } qw(message_id message_state system_id);
        report($pdu->explain_cmd, status => $pdu->{status}, number => $pdu->{seq}, %facts);
    }
    else { report('error', error => sprintf 'command %x', $command) }
}

sub obey {
    my ($order) = @_;
    my $command = $order->{do};
    my %fields  = %$order;
    delete @fields{qw(do octets payload short_message)};
    if ($command eq 'submit_sm') { $fields{short_message} = encoded($order) }
    if (defined $order->{payload}) { $fields{message_payload} = pack 'H*', $order->{payload} }
    $session->$command(%fields, async => 1);
}

run(\%readers, \&obey);
