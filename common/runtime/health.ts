/** Why a process is not ready, for each of its parts; shown by `/readyz`. */
export class Health {
  readonly #problems = new Map<string, string>();
  readonly #warnings = new Map<string, string>();

  /** @param problem why the part does not work, without secrets; `undefined`: it works */
  set(part: string, problem: string | undefined): void {
    if (problem === undefined) this.#problems.delete(part);
    else this.#problems.set(part, problem);
  }

  /** @param warning what is doubtful about a part that works, without secrets; `undefined`: nothing */
  warn(part: string, warning: string | undefined): void {
    if (warning === undefined) this.#warnings.delete(part);
    else this.#warnings.set(part, warning);
  }

  /** By part. */
  warnings(): ReadonlyMap<string, string> {
    return this.#warnings;
  }

  /** By part; empty when ready. */
  problems(): ReadonlyMap<string, string> {
    return this.#problems;
  }

  ready(): boolean {
    return this.#problems.size === 0;
  }
}
