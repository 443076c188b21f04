#!/usr/bin/perl
# Receives messages, does the work, and prints each when it is done, until killed.
use strict;
use warnings;
use Getopt::Long;
use Time::HiRes;
use Zmtp;

my (@addresses, $bind, $work, $die_at, $trace);
GetOptions(
    "address=s" => \@addresses, "bind" => \$bind, "work=f" => \$work, "die-at=s" => \$die_at, "trace" => \$trace,
) && @addresses && !@ARGV or die "usage: pull.pl --address tcp://HOST:PORT [--bind] [--work SECONDS] ...\n";
$| = 1;

my $endpoint = Zmtp->new(kind => "PULL", tracing => $trace);
for (@addresses) { $bind ? $endpoint->listen_at($_) : $endpoint->connect_to($_) }
$endpoint->started;
while (1) {
    $endpoint->pump(Zmtp::NEVER, sub { scalar @{ $endpoint->{inbox} } });
    my $message = shift @{ $endpoint->{inbox} };
    $message =~ s/\s+\z//;
    my ($number) = $message =~ /^(\d*)/;
    $endpoint->trace("received", qq("number": "$number"));
    Time::HiRes::sleep($work) if $work;
    print "$message\n";
    if (defined $die_at && $number eq $die_at) {
        $endpoint->trace("dies", qq("number": "$number"));
        kill "KILL", $$;
    }
}
