/**
 * The result of one check: facts about the server, perhaps what is doubtful about it; the problem; or why there is nothing to
 * check now, which is no failure.
 */
export type CheckResult = { ok: string; warning?: string } | { problem: string } | { skipped: string };
