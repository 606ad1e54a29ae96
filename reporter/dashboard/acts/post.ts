/** Sends an act of the operator to the reporter. */

/** What became of it, as text. */
export interface Sent {
  ok: boolean;
  problem: string;
}

/** @param path below `api/` */
export async function post(path: string, body?: object): Promise<Sent> {
  try {
    const reply = await fetch(`api/${path}`, {
      method: 'POST',
      ...(body !== undefined && {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
    });
    return { ok: reply.ok, problem: reply.ok ? '' : await problemOf(reply) };
  } catch {
    return { ok: false, problem: 'the reporter does not answer' };
  }
}

async function problemOf(reply: Response): Promise<string> {
  const text = (await reply.text()).trim();
  try {
    return (JSON.parse(text) as { error: string }).error;
  } catch {
    return text === '' || text.length > 200 ? `HTTP ${reply.status}` : text;
  }
}
