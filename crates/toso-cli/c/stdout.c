/* Whether stdout was closed when the process began, as by `toso report >&-`.
 *
 * Rust's runtime opens /dev/null in its place before main, and a write then succeeds: nobody could tell a lost answer from one
 * that was thrown away on purpose. So this looks before the runtime does, and tells by a variable of the environment, which
 * Rust reads without unsafe code. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

__attribute__((constructor)) static void look_at_stdout(void) {
    if (fcntl(1, F_GETFD) == -1 && errno == EBADF) {
        setenv("TOSO_STDOUT_CLOSED", "1", 1);
    } else {
        unsetenv("TOSO_STDOUT_CLOSED");
    }
}
