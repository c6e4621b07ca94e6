/** A page that stays up to date: redrawn in place on a terminal, printed anew whenever it changes elsewhere. */
import type { Output } from './command.ts';

export interface LivePage {
  readonly output: Output;
  /** Ends the page; that is no failure. */
  readonly signal: AbortSignal;
  /** The page at a time, ms since the epoch. What it throws ends the page. */
  view(now: number): string;
  /** Calls back whenever the view may have changed, until the signal aborts. */
  follow(changed: () => void, signal: AbortSignal): Promise<void>;
}

/** Changes come in bursts; one of them is drawn once, ms. */
const BURST_MS = 100;
/** Ages grow on a terminal, ms. */
const TICK_MS = 1_000;

/** Resolves when the signal aborts. @throws what `view` or `follow` throws */
export async function showLive({ output, signal, view, follow }: LivePage): Promise<void> {
  const ended = Promise.withResolvers<void>();
  const stop = new AbortController();
  const page: Page = output.isTTY ? new Screen(output) : new Journal(output);
  const draw = () => {
    try {
      page.show(view);
    } catch (error) {
      ended.reject(error);
    }
  };
  let pending: NodeJS.Timeout | undefined;
  const changed = () => {
    pending ??= setTimeout(() => {
      pending = undefined;
      draw();
    }, BURST_MS);
  };
  const tick = output.isTTY ? setInterval(draw, TICK_MS) : undefined;
  signal.addEventListener('abort', () => ended.resolve(), { once: true });
  if (signal.aborted) ended.resolve();
  output.on?.('resize', changed);
  const following = follow(changed, stop.signal);
  following.catch(ended.reject);
  draw();
  try {
    await ended.promise;
  } finally {
    clearTimeout(pending);
    clearInterval(tick);
    stop.abort();
    page.end?.();
    await following.catch(() => undefined);
  }
}

type View = LivePage['view'];

interface Page {
  show(view: View): void;
  /** Gives back what the page took. */
  end?(): void;
}

const ESC = '\u001b[';
/** The alternate screen, no cursor, and no wrapping of long lines. */
const ENTER = `${ESC}?1049h${ESC}?25l${ESC}?7l`;
const LEAVE = `${ESC}?7h${ESC}?25h${ESC}?1049l`;
const HOME = `${ESC}H`;
const CLEAR_LINE = `${ESC}K`;
const CLEAR_BELOW = `${ESC}J`;

class Screen implements Page {
  readonly #output: Output;
  #text = '';

  constructor(output: Output) {
    this.#output = output;
    output.write(ENTER);
  }

  show(view: View): void {
    this.#text = view(Date.now());
    const lines = fitting(this.#text.split('\n'), this.#output.rows ?? 24);
    this.#output.write(`${HOME}${lines.map((line) => line + CLEAR_LINE).join('\r\n')}${CLEAR_BELOW}`);
  }

  /** Leaves the last page where a person can scroll back to it. */
  end(): void {
    this.#output.write(`${LEAVE}${this.#text}\n`);
  }
}

/** At most as many lines as the screen has; the last says how many are missing. */
export function fitting(lines: readonly string[], rows: number): readonly string[] {
  if (lines.length <= rows) return lines;
  const shown = lines.slice(0, Math.max(0, rows - 1));
  return [...shown, `… ${lines.length - shown.length} more lines: enlarge the window`];
}

class Journal implements Page {
  readonly #output: Output;
  /** Seen from one moment, pages differ by what happened and not by ages. */
  readonly #moment = Date.now();
  #last: string | undefined;

  constructor(output: Output) {
    this.#output = output;
  }

  show(view: View): void {
    const text = view(this.#moment);
    if (text === this.#last) return;
    this.#output.write(`${this.#last === undefined ? '' : '\n'}${view(Date.now())}\n`);
    this.#last = text;
  }
}
