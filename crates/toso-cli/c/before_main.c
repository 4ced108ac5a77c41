/* What must be settled before Rust's runtime begins, and what takes unsafe code there.
 *
 * Whether stdout was closed when the process began, as by `toso report >&-`: Rust's runtime opens /dev/null in its place before main, and a write then succeeds: nobody could tell a lost answer from one
 * that was thrown away on purpose. So this looks before the runtime does, and tells by a variable of the environment, which
 * Rust reads without unsafe code.
 *
 * And that a file which may not grow (`ulimit -f`, LimitFSIZE of systemd) is a failed write, as on a full disk: unless the
 * signal is ignored it kills the process in the midst of one. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>

__attribute__((constructor)) static void before_main(void) {
    signal(SIGXFSZ, SIG_IGN);
    if (fcntl(1, F_GETFD) == -1 && errno == EBADF) {
        setenv("TOSO_STDOUT_CLOSED", "1", 1);
    } else {
        unsetenv("TOSO_STDOUT_CLOSED");
    }
}
