"""Why a file is as fast as it is on a target: its layers by the runtime's own profiler, against the machine's peak."""
