/** The result of one check: facts about the server, or the problem. */
export type CheckResult = { ok: string } | { problem: string };
