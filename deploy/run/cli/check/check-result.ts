/**
 * The result of one check: facts about the server, and what is doubtful about it; the problem; or why there is nothing to
 * check now, which is no failure.
 */
export type CheckResult =
  | { ok: string; warnings?: readonly string[] }
  | { problem: string }
  | { skipped: string };
