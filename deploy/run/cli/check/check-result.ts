/** The result of one check: facts about the server, perhaps what is doubtful about it, or the problem. */
export type CheckResult = { ok: string; warning?: string } | { problem: string };
