"""A board that is not there: its real aarch64 runtimes under QEMU, for accuracy and instruction counts, never for time.

What is known to work, and what is not, was tried out with QEMU 7.2 on x86-64 Debian 12; ``docs/emulation.md`` keeps it.
"""
