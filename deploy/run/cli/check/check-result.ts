/** One thing that `hm check` tried: what is to be said, or why it failed. */
export type Tried = { ok: string } | { problem: string };
