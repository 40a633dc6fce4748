/* Answers a program's ioctl(SIOCETHTOOL) about one device in place of the kernel, which has no
 * driver of AWS's interfaces here. The program does not notice: its own request is handed
 * over a Unix socket to the process that plays the driver, and the answer is written where the program
 * wanted it. Everything else goes to the kernel.
 *
 * DEVICE_NAME     the device
 * DEVICE_SOCKET   the socket; over it go 16 bytes of name and 20 of the request, and back come the
 *                 error's number (0: none), the length, and the bytes of the answer
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

enum { REQUEST = 20 };

static int whole(int fd, void *bytes, size_t length) {
    char *next = bytes;
    while (length > 0) {
        ssize_t came = read(fd, next, length);
        if (came <= 0) {
            return -1;
        }
        next += came;
        length -= (size_t)came;
    }
    return 0;
}

static int by_the_driver(const char *path, struct ifreq *request) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char question[IFNAMSIZ + REQUEST];
    uint32_t head[2];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = -1;
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    memcpy(question, request->ifr_name, IFNAMSIZ);
    memcpy(question + IFNAMSIZ, request->ifr_data, REQUEST);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        write(fd, question, sizeof question) != (ssize_t)sizeof question || whole(fd, head, sizeof head) < 0) {
        errno = EIO;
    } else if (head[0] != 0) {
        errno = (int)head[0];
    } else if (whole(fd, request->ifr_data, head[1]) < 0) {
        errno = EIO;
    } else {
        result = 0;
    }
    if (fd >= 0) {
        int kept = errno;
        close(fd);
        errno = kept;
    }
    return result;
}

int ioctl(int fd, unsigned long operation, ...) {
    va_list arguments;
    va_start(arguments, operation);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    const char *device = getenv("DEVICE_NAME"), *path = getenv("DEVICE_SOCKET");
    if (operation == SIOCETHTOOL && device && path) {
        struct ifreq *request = argument;
        if (strncmp(request->ifr_name, device, IFNAMSIZ) == 0) {
            return by_the_driver(path, request);
        }
    }
    return (int)syscall(SYS_ioctl, fd, operation, argument);
}
