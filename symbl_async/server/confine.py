"""Confinement of a worker process, applied before it sees any media.

Media is hostile, and decoders have bugs. A worker therefore gives up what it does not need: the network, starting
programs, looking into other processes, reading files other than its own code and models, writing files at all, and more
than its share of memory. Each measure is taken where the system has it; the report says which are in force.

Sources: prctl(2), seccomp(2), landlock(7), setrlimit(2); system call numbers from the kernel's tables.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from attrs import frozen

GIB = 1024**3

_PR_SET_PDEATHSIG = 1
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2
_SIGKILL = 9
_CLONE_THREAD = 0x00010000

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_LOAD, _JEQ, _JGE, _JSET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06

_CALLS: dict[str, dict[str, int]] = {
    "x86_64": {
        "arch": 0xC000003E, "clone": 56, "clone3": 435, "sendto": 44,
        "socket": 41, "connect": 42, "accept": 43, "bind": 49, "listen": 50, "accept4": 288,
        "execve": 59, "execveat": 322, "fork": 57, "vfork": 58, "kill": 62, "pidfd_send_signal": 424,
        "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "pidfd_getfd": 438,
        "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308,
        "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "open_by_handle_at": 304,
        "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
        "add_key": 248, "request_key": 249, "keyctl": 250,
        "tkill": 200, "tgkill": 234, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297, "prlimit64": 302,
        "setpriority": 141, "process_madvise": 440,
        "shmget": 29, "shmat": 30, "msgget": 68, "semget": 64, "mq_open": 240,
        "init_module": 175, "finit_module": 313, "kexec_load": 246, "reboot": 169, "swapon": 167,
        "chmod": 90, "fchmod": 91, "fchmodat": 268, "fchmodat2": 452, "truncate": 76,
        "chown": 92, "fchown": 93, "lchown": 94, "fchownat": 260,
        "utime": 132, "utimes": 235, "futimesat": 261, "utimensat": 280,
        "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190,
        "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199,
        "sched_setscheduler": 144, "sched_setparam": 142, "sched_setattr": 314, "sched_setaffinity": 203,
        "ioprio_set": 251, "shmctl": 31, "semctl": 66, "msgctl": 71,
    },
    "aarch64": {
        "arch": 0xC00000B7, "clone": 220, "clone3": 435, "sendto": 206,
        "socket": 198, "bind": 200, "listen": 201, "accept": 202, "connect": 203, "accept4": 242,
        "execve": 221, "execveat": 281, "kill": 129, "pidfd_send_signal": 424,
        "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "pidfd_getfd": 438,
        "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "unshare": 97, "setns": 268,
        "bpf": 280, "perf_event_open": 241, "userfaultfd": 282, "open_by_handle_at": 265,
        "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
        "add_key": 217, "request_key": 218, "keyctl": 219,
        "tkill": 130, "tgkill": 131, "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240, "prlimit64": 261,
        "setpriority": 140, "process_madvise": 440,
        "shmget": 194, "shmat": 196, "msgget": 186, "semget": 190, "mq_open": 180,
        "init_module": 105, "finit_module": 273, "kexec_load": 104, "reboot": 142, "swapon": 224,
        "fchmod": 52, "fchmodat": 53, "fchmodat2": 452, "truncate": 45,
        "fchown": 55, "fchownat": 54, "utimensat": 88,
        "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16,
        "sched_setscheduler": 119, "sched_setparam": 118, "sched_setattr": 274, "sched_setaffinity": 122,
        "ioprio_set": 30, "shmctl": 195, "semctl": 191, "msgctl": 187,
    },
}  # fmt: skip

# A thread that aborts signals itself, and a library may ask for limits; neither concerns other processes.
_ON_ITSELF = ("tgkill", "prlimit64")

_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_DIRECTORIES = 1 << 3  # reading them
_READ = 1 << 2 | _DIRECTORIES
_READ_WRITE = _READ | 1 << 1
# Rights that each version of Landlock knows; what a kernel does not know must not be asked for.
_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1}
_SYSTEM_READS = (
    "/usr",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/self",
    "/sys/devices/system",
    "/dev/null",
    "/dev/urandom",
)
GPU_READS = ("/proc/driver/nvidia", "/proc/devices", "/sys/bus/pci", "/sys/devices", "/sys/module")
"""What the driver of a GPU looks at."""


@frozen
class Confinement:
    """What is in force.

    Attributes:
        limits: Memory, file sizes and descriptors are limited.
        calls: No new sockets, programs or processes (seccomp).
        files: No files but code, libraries and models (Landlock).
    """

    limits: bool
    calls: bool
    files: bool


def gpu_devices() -> list[Path]:
    """Give the devices of the GPUs of this machine, for :func:`confine`."""
    return sorted(Path("/dev").glob("nvidia*"))


def confine(readable: Iterable[Path], *, memory: int | None = 6 * GIB, devices: Sequence[Path] = ()) -> Confinement:
    """Give up what this process does not need; there is no way back.

    Args:
        readable: Files and folders beyond the interpreter and its packages that may be read: models.
        memory: Bytes of address space; ``None`` for any number.
        devices: Devices that may be used. A driver opens each of them many times.
    """
    descriptors = 1024 if devices else 64
    if sys.platform != "linux":
        return Confinement(_limit(memory, descriptors), calls=False, files=False)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    # Needed for both filters without privileges; programs started later could not gain any either.
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return Confinement(_limit(memory, descriptors), calls=False, files=False)
    files = _allow_files(libc, [*_own_code(), *readable], devices)
    return Confinement(_limit(memory, descriptors), calls=_filter_calls(libc), files=files)


def _limit(memory: int | None, descriptors: int) -> bool:
    try:
        import resource
    except ImportError:
        return False
    for kind, wanted in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, descriptors),
    ):
        if wanted is None:
            continue
        _, hard = resource.getrlimit(kind)
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(kind, (value, value))
        except (ValueError, OSError):
            return False  # macOS refuses some
    return True


def _own_code() -> list[Path]:
    package = Path(__file__).resolve().parent.parent
    # A checkout may hold anything beside the package; a folder of installed packages holds what the engines need.
    installed = package.parent.name in {"site-packages", "dist-packages"}
    code = [Path(entry) for entry in sys.path if entry and (installed or Path(entry).resolve() != package.parent)]
    return [package, Path(sys.prefix), Path(sys.base_prefix), *code, *map(Path, _SYSTEM_READS)]


def _allow_files(libc: ctypes.CDLL, paths: Iterable[Path], devices: Iterable[Path]) -> bool:
    """Make everything unreadable but *paths*, and unwritable but *devices*, with Landlock."""
    version = libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    if version < 1:
        return False
    rights = _RIGHTS[min(version, max(_RIGHTS))]
    attributes = struct.pack("=Q", rights)
    rules = libc.syscall(_LANDLOCK_CREATE, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    if rules < 0:
        return False
    try:
        for path in paths:
            _allow_beneath(libc, rules, path, _READ)
        for device in devices:
            _allow_beneath(libc, rules, device, _READ_WRITE)
        return bool(libc.syscall(_LANDLOCK_RESTRICT, rules, ctypes.c_uint32(0)) == 0)
    finally:
        os.close(rules)


def _allow_beneath(libc: ctypes.CDLL, rules: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not on this system
    try:
        allowed = rights if path.is_dir() else rights & ~_DIRECTORIES
        rule = struct.pack("=Qi", allowed, descriptor)
        libc.syscall(_LANDLOCK_ADD, rules, ctypes.c_int(1), rule, ctypes.c_uint32(0))
    finally:
        os.close(descriptor)


def _filter_calls(libc: ctypes.CDLL) -> bool:
    """Refuse system calls that a decoder has no use for, with seccomp."""
    calls = _CALLS.get(platform.machine())
    if calls is None:
        return False
    program = _program(calls)
    buffer = ctypes.create_string_buffer(b"".join(program))
    filters = struct.pack("HxxxxxxP", len(program), ctypes.addressof(buffer))
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, filters, 0, 0) == 0)


def _program(calls: dict[str, int]) -> list[bytes]:
    """Return the filter as BPF: refuse what is listed, allow the rest.

    A worker needs threads, so ``clone`` passes when it makes one; ``clone3`` hides its flags from filters and answers
    as if the kernel were older, upon which the C library falls back to ``clone``. ``send`` is ``sendto`` without an
    address. What names a process may name this one only.
    """
    refuse, missing = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS
    special = {"arch", "clone", "clone3", "sendto", *_ON_ITSELF}
    code = [
        _step(_LOAD, 4),  # architecture
        _step(_JEQ, calls["arch"], 1, 0),
        _step(_RETURN, refuse),
        _step(_LOAD, 0),  # number of the call
    ]
    if calls["arch"] == _CALLS["x86_64"]["arch"]:
        code += [_step(_JGE, 0x40000000, 0, 1), _step(_RETURN, refuse)]  # the x32 numbers would evade the list
    for name, number in calls.items():
        if name not in special:
            code += [_step(_JEQ, number, 0, 1), _step(_RETURN, refuse)]
    for name in _ON_ITSELF:
        code += [
            _step(_JEQ, calls[name], 0, 5),
            _step(_LOAD, 16),  # process
            _step(_JEQ, 0, 2, 0),
            _step(_JEQ, os.getpid(), 1, 0),
            _step(_RETURN, refuse),
            _step(_RETURN, _ALLOW),
        ]
    code += [
        _step(_JEQ, calls["clone3"], 0, 1),
        _step(_RETURN, missing),
        _step(_JEQ, calls["clone"], 0, 4),
        _step(_LOAD, 16),  # flags
        _step(_JSET, _CLONE_THREAD, 0, 1),
        _step(_RETURN, _ALLOW),
        _step(_RETURN, refuse),
        _step(_JEQ, calls["sendto"], 0, 5),
        _step(_LOAD, 16 + 4 * 8),  # address, lower half
        _step(_JEQ, 0, 0, 2),
        _step(_LOAD, 16 + 4 * 8 + 4),  # upper half
        _step(_JEQ, 0, 1, 0),
        _step(_RETURN, refuse),
        _step(_RETURN, _ALLOW),
    ]
    return code


def _step(operation: int, operand: int, when_true: int = 0, when_false: int = 0) -> bytes:
    return struct.pack("=HBBI", operation, when_true, when_false, operand)
