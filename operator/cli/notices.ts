/** What a watched page says while it may be old. */
import type { Shell } from './command.ts';
import { oneLine } from './text.ts';

/** A watch that fails again says so once more; one that does not is fine by then, ms. */
const SILENCE_MS = 15_000;

/** What the reflectors complain about: beside the page on a terminal, on stderr elsewhere. */
export class Notices {
  readonly #shell: Shell;
  #latest: { readonly text: string; readonly until: number } | undefined;

  constructor(shell: Shell) {
    this.#shell = shell;
  }

  /** Takes a line of pino's. */
  write(line: string): void {
    const { why, retryInMs = 0 } = JSON.parse(line) as { why?: string; retryInMs?: number };
    const text = oneLine(`what is shown may be old: ${why}`);
    if (!this.#shell.stdout.isTTY && this.#latest?.text !== text) this.#shell.stderr.write(`${text}\n`);
    this.#latest = { text, until: Date.now() + retryInMs + SILENCE_MS };
  }

  current(now: number): string[] {
    const fresh = this.#shell.stdout.isTTY && this.#latest !== undefined && now < this.#latest.until;
    return fresh && this.#latest ? [this.#latest.text] : [];
  }
}
