package NetSmppPeer;

# What both roles on Net::SMPP share: lines of JSON, alphabets, and a loop over standard input and sockets.

use strict;
use warnings;
use Encode ();
use Exporter 'import';
use IO::Select;
use JSON::PP ();
use Net::SMPP;

our @EXPORT_OK = qw(encoded report run text_of udh_of);

use constant UDHI => 0x40;                                          # bit of esm_class
use constant CODECS => { 0 => 'gsm0338', 3 => 'iso-8859-1', 8 => 'UTF-16BE' };    # by data_coding

my $json = JSON::PP->new->utf8->canonical;

$| = 1;
$SIG{PIPE} = 'IGNORE';
$SIG{__WARN__} = sub { };    # Net::SMPP warns of every connection that ends


sub report {
    my ($event, %facts) = @_;
    print $json->encode({ event => $event, %facts }), "\n";
}

sub encoded {
    my ($order) = @_;
    return pack('H*', $order->{octets}) if defined $order->{octets};
    my $text = defined $order->{text} ? $order->{text} : $order->{short_message};
    return '' if !defined $text;
    return Encode::encode(CODECS->{ $order->{data_coding} || 0 }, $text);
}

sub octets_of {
    my ($pdu) = @_;
    return length $pdu->{short_message} ? $pdu->{short_message} : $pdu->{message_payload} || '';
}

sub udh_length {
    my ($pdu, $octets) = @_;
    return $pdu->{esm_class} & UDHI && length $octets ? 1 + ord $octets : 0;
}

sub udh_of {
    my ($pdu) = @_;
    my $octets = octets_of($pdu);
    return unpack 'H*', substr $octets, 0, udh_length($pdu, $octets);
}

sub text_of {
    my ($pdu) = @_;
    my $octets = octets_of($pdu);
    my $text   = substr $octets, udh_length($pdu, $octets);
    my $codec  = CODECS->{ $pdu->{data_coding} };
    return $codec ? Encode::decode($codec, $text) : unpack 'H*', $text;
}

# Call what stands beside a readable handle, and `obey` for every line of standard input; end with it.
sub run {
    my ($readers, $obey) = @_;
    my $input = '';
    while (1) {
        my $select = IO::Select->new(\*STDIN, map { $_->[0] } values %$readers);
        for my $handle ($select->can_read) {
            if ($handle != \*STDIN) {    # by itself: what an order before it closed has no number any more
                my ($reader) = grep { $_->[0] == $handle } values %$readers;
                $reader->[1]->($handle) if $reader;
                next;
            }
            sysread(STDIN, $input, 65536, length $input) or exit 0;
            $obey->($json->decode($1)) while $input =~ s/^(.*)\n//;
        }
    }
}

1;
