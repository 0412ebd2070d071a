/**
 * Exit codes.
 *
 * @module
 */
import type { ExitStatus } from "../../Backend.ts";

const numbers: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  ...(Deno.build.os === "linux"
    ? { SIGBUS: 7, SIGUSR1: 10, SIGUSR2: 12, SIGXCPU: 24, SIGXFSZ: 25, SIGSYS: 31 }
    : { SIGBUS: 10, SIGUSR1: 30, SIGUSR2: 31, SIGXCPU: 24, SIGXFSZ: 25, SIGSYS: 12 }),
};

/** The exit code of a process whose real one is not known. */
export const UNKNOWN = 255;

/** The exit code of a status, as in Python: `-n` for signal `n`. */
export const exitCode = (status: ExitStatus): number => {
  switch (status._tag) {
    case "Exited":
      return status.code;
    case "Signaled":
      return -(numbers[status.signal] ?? 0);
    case "Crashed":
      return 1;
    case "Lost":
      return UNKNOWN;
  }
};
