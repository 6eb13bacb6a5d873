# Runs a program to which the kernel refuses commands of bpf(2): python3 seccomp.py COMMAND:ERRNO[,...] PROGRAM [ARGUMENT...]
# A command of -1 is all of them.
import ctypes, os, platform, struct, sys

BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
LOAD, EQUALS, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
NUMBER, FIRST_ARGUMENT = 0, 16

rules = [tuple(map(int, rule.split(":"))) for rule in sys.argv[1].split(",")]
code = [(LOAD, 0, 0, NUMBER), (EQUALS, 1, 0, BPF), (RETURN, 0, 0, ALLOW), (LOAD, 0, 0, FIRST_ARGUMENT)]
for command, errno in rules:
    if command >= 0:
        code.append((EQUALS, 0, 1, command))
    code.append((RETURN, 0, 0, ERRNO | errno))
code.append((RETURN, 0, 0, ALLOW))
program = b"".join(struct.pack("HBBI", *line) for line in code)
memory = ctypes.create_string_buffer(program)
fprog = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(code), ctypes.addressof(memory)))
prctl = ctypes.CDLL(None, use_errno=True).prctl
if prctl(38, 1, 0, 0, 0) or prctl(22, 2, fprog, 0, 0):
    sys.exit(f"seccomp: {os.strerror(ctypes.get_errno())}")
os.execv(sys.argv[2], sys.argv[2:])
