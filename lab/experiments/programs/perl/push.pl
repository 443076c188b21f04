#!/usr/bin/perl
# Sends numbered messages in turn to all receivers that connect.
use strict;
use warnings;
use Getopt::Long;
use Time::HiRes;
use Zmtp;

my ($count, $first, $interval, $delay, $size) = (20, 0, 1, 0, 0);
my (@addresses, $connect, $trace);
GetOptions(
    "address=s" => \@addresses, "connect" => \$connect, "count=i" => \$count, "first=i" => \$first,
    "interval=f" => \$interval, "delay=f" => \$delay, "size=i" => \$size, "trace" => \$trace,
) && @addresses && !@ARGV or die "usage: push.pl --address tcp://HOST:PORT [--count N] [--interval SECONDS] ...\n";
$| = 1;

my $endpoint = Zmtp->new(kind => "PUSH", tracing => $trace);
for (@addresses) { $connect ? $endpoint->connect_to($_) : $endpoint->listen_at($_) }
$endpoint->started;
$endpoint->pump(Zmtp::now() + $delay);
for my $x ($first .. $first + $count - 1) {
    my $message = sprintf "%d , %.6f", $x, Time::HiRes::time();
    print "$x\n";
    $endpoint->send_message(sprintf "%-${size}s", $message);
    $endpoint->trace("sent", qq("number": $x, "text": "$message"));
    $endpoint->pump(Zmtp::now() + $interval);
}
$endpoint->drain;
