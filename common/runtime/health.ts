/** Why a process is not ready, for each of its parts; shown by `/readyz`. */
export class Health {
  readonly #problems = new Map<string, string>();

  /** @param problem why the part does not work, without secrets; `undefined`: it works */
  set(part: string, problem: string | undefined): void {
    if (problem === undefined) this.#problems.delete(part);
    else this.#problems.set(part, problem);
  }

  /** By part; empty when ready. */
  problems(): ReadonlyMap<string, string> {
    return this.#problems;
  }

  ready(): boolean {
    return this.#problems.size === 0;
  }
}
