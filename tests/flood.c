/* Prints numbers as fast as it can, and after each line notes in the file `done` that it got so far. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int lines = argc > 1 ? atoi(argv[1]) : 100000;
    int done = open("done", O_CREAT | O_TRUNC | O_WRONLY, 0600);
    char line[16];
    for (int n = 1; n <= lines; n++) {
        int length = sprintf(line, "%d\n", n);
        write(1, line, length);
        pwrite(done, line, length, 0);
    }
}
