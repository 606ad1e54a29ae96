/** The exit codes of every command and process (contract: programs). The numbers are those of sysexits.h. */
export const EXIT = {
  done: 0,
  /** Something was not found, not reachable, or went wrong. */
  failed: 1,
  /** Wrong usage of the command line. */
  usage: 64,
  /** A port or program is not available. */
  unavailable: 69,
  /** Wrong configuration. */
  config: 78,
} as const;
