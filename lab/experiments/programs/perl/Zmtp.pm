# ZMTP 3.0 with the mechanism NULL, as far as PUSH and PULL need it: https://rfc.zeromq.org/spec/23
# One thread: `pump` takes what came on all connections and does what is due.
package Zmtp;
use strict;
use warnings;
use Errno qw(EAGAIN EINTR);
use IO::Select;
use IO::Socket::INET;
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

use constant { LONG => 2, COMMAND => 4, LARGEST => 1 << 30, RETRY_S => 0.1, NEVER => 9**9**9 };
my $GREETING = "\xff" . "\0" x 8 . "\x7f\x03\x00" . "NULL" . "\0" x 48;

sub now { clock_gettime(CLOCK_MONOTONIC) }

sub frame {
    my ($body, $flags) = (@_, 0);
    my $size = length $body;
    return ($size < 256 ? pack("CC", $flags, $size) : pack("CQ>", $flags | LONG, $size)) . $body;
}

# kind: PUSH or PULL; tracing: whether to report on stderr what happens.
sub new {
    my ($class, %of) = @_;
    return bless {%of, ahead => Time::HiRes::time() - now(), listeners => [], peers => [], due => {}, inbox => []}, $class;
}

# Reports an event: its details are JSON already.
sub trace {
    my ($self, $event, $details) = @_;
    return unless $self->{tracing};
    my $m = now();
    my $more = defined $details ? ", $details" : "";
    syswrite STDERR, sprintf(qq({"t": %.6f, "m": %.6f, "event": "%s"%s}\n), $self->{ahead} + $m, $m, $event, $more);
}

sub started { $_[0]->trace("ready", sprintf '"zmtp": "3.0", "perl": "%vd"', $^V) }

sub place { my ($host, $port) = $_[0] =~ m{^tcp://(.*):(\d+)$} or die "$_[0] is no address\n"; return ($host, $port) }

sub listen_at {
    my ($self, $address) = @_;
    my ($host, $port) = place($address);
    my $socket = IO::Socket::INET->new(
        LocalAddr => $host eq "*" ? "0.0.0.0" : $host, LocalPort => $port, Listen => 100, ReuseAddr => 1
    ) or die "can't listen at $address: $@\n";
    $socket->blocking(0);
    push @{ $self->{listeners} }, $socket;
}

sub connect_to { my ($self, $address) = @_; place($address); $self->{due}{$address} = now() }

# Takes what comes until `done`, or a monotonic time; at least what is there already.
sub pump {
    my ($self, $until, $done) = @_;
    return if $done && $done->();
    while (1) {
        my $now = now();
        $self->try_connect($_) for grep { $self->{due}{$_} <= $now } keys %{ $self->{due} };
        my $end = $until;
        for (values %{ $self->{due} }) { $end = $_ if $_ < $end }
        my %of = map { (fileno $_->{wire} => $_) } @{ $self->{peers} };
        my $reading = IO::Select->new(@{ $self->{listeners} }, map { $_->{wire} } values %of);
        my $writing = IO::Select->new(map { $_->{wire} } grep { length $_->{unsent} } values %of);
        my $pause = $end == NEVER ? undef : $end > $now ? $end - $now : 0;
        my ($readable, $writable) = IO::Select->select($reading, $writing, undef, $pause);
        for my $wire (@{ $readable || [] }) {
            my $peer = $of{ fileno $wire };
            $peer ? $self->take($peer) : $self->accept_from($wire);
        }
        for my $wire (grep { defined fileno $_ } @{ $writable || [] }) { $self->flush_to($of{ fileno $wire }) }
        return if $done && $done->() || now() >= $until;
    }
}

# Gives a message to the next peer in turn that has room; waits until there is one.
sub send_message {
    my ($self, $body) = @_;
    my $has_room = sub { $_[0]{is_up} && !length $_[0]{unsent} };
    $self->pump(now());
    while (1) {
        $self->pump(NEVER, sub { scalar grep { $has_room->($_) } @{ $self->{peers} } });
        my ($peer) = grep { $has_room->($_) } @{ $self->{peers} };
        $self->{peers} = [(grep { $_ != $peer } @{ $self->{peers} }), $peer];
        $peer->{unsent} = frame($body);
        return if $self->flush_to($peer);
    }
}

# Waits until the kernel has all that was sent.
sub drain { my $self = shift; $self->pump(NEVER, sub { !grep { length $_->{unsent} } @{ $self->{peers} } }) }

sub accept_from {
    my ($self, $listener) = @_;
    my $wire = $listener->accept or return;
    $self->trace("accepted");
    $self->add($wire, "");
}

sub try_connect {
    my ($self, $address) = @_;
    my ($host, $port) = place($address);
    my $wire = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Timeout => 1);
    if (!$wire) { $self->{due}{$address} = now() + RETRY_S; return }
    delete $self->{due}{$address};
    $self->add($wire, $address);
}

sub add {
    my ($self, $wire, $address) = @_;
    $wire->blocking(0);
    setsockopt $wire, IPPROTO_TCP, TCP_NODELAY, 1;
    my $ready = "\x05READY\x0bSocket-Type" . pack("N/a", $self->{kind});
    my $peer = { wire => $wire, address => $address, came => "", unsent => $GREETING . frame($ready, COMMAND) };
    push @{ $self->{peers} }, $peer;
    $self->flush_to($peer);
}

# Writes what the kernel takes now; returns whether the connection lives.
sub flush_to {
    my ($self, $peer) = @_;
    local $SIG{PIPE} = "IGNORE";
    while (length $peer->{unsent}) {
        my $sent = syswrite $peer->{wire}, $peer->{unsent};
        if (!defined $sent) {
            return 1 if $! == EAGAIN || $! == EINTR;
            $self->drop($peer);
            return 0;
        }
        substr $peer->{unsent}, 0, $sent, "";
    }
    return 1;
}

sub take {
    my ($self, $peer) = @_;
    my $got = sysread $peer->{wire}, $peer->{came}, 65536, length $peer->{came};
    return if !defined $got && ($! == EAGAIN || $! == EINTR);
    return $self->drop($peer) unless $got;
    my $was_up = $peer->{is_up};
    return $self->drop($peer) unless eval { $self->parse($peer); 1 };
    $self->trace("connected") if $self->flush_to($peer) && $peer->{is_up} && !$was_up;
}

# Takes the whole frames out of what came; dies where the peer speaks something else.
sub parse {
    my ($self, $peer) = @_;
    if (!$peer->{is_greeted}) {
        return if length $peer->{came} < 64;
        my $head = substr $peer->{came}, 0, 64, "";
        die unless $head =~ /^\xff.{8}\x7f[\x03-\xff].NULL/s;
        $peer->{is_greeted} = 1;
    }
    while (length $peer->{came} >= 2) {
        my $flags = ord $peer->{came};
        my $start = $flags & LONG ? 9 : 2;
        return if length $peer->{came} < $start;
        my $size = $flags & LONG ? unpack("x Q>", $peer->{came}) : unpack("x C", $peer->{came});
        die if $size > LARGEST;
        return if length $peer->{came} < $start + $size;
        my $body = substr $peer->{came}, $start, $size;
        substr $peer->{came}, 0, $start + $size, "";
        if (!($flags & COMMAND)) { push @{ $self->{inbox} }, $body }
        elsif ($body =~ /^\x05READY/) {
            my $expected = $self->{kind} eq "PUSH" ? "PULL" : "PUSH";
            die unless $body =~ /Socket-Type\0\0\0\x04$expected/;
            $peer->{is_up} = 1;
        }
        elsif ($body =~ /^\x04PING..(.*)/s) { $peer->{unsent} .= frame("\x04PONG$1", COMMAND) }
    }
}

sub drop {
    my ($self, $peer) = @_;
    close $peer->{wire};
    $self->{peers} = [grep { $_ != $peer } @{ $self->{peers} }];
    $self->trace("disconnected") if $peer->{is_up};
    $self->{due}{ $peer->{address} } = now() + RETRY_S if $peer->{address};
}

1;
