# A syslog daemon in ten lines, as Sendmail logs nowhere else: devlog.pl SOCKET FILE writes each datagram as a line.
# Perl because Debian always has it and Node.js has no unix datagram sockets.
use strict;
use warnings;
use Socket;
my ($path, $file) = @ARGV;
socket(my $socket, PF_UNIX, SOCK_DGRAM, 0) or die "socket: $!";
bind($socket, sockaddr_un($path)) or die "$path: $!";
chmod 0666, $path;
open(my $log, '>>', $file) or die "$file: $!";
$log->autoflush(1);
$| = 1;
print "ready\n";
while (defined recv($socket, my $line, 65536, 0)) {
    $line =~ s/^<\d+>//;
    $line =~ s/[\0\n]+$//;
    print $log "$line\n";
}
