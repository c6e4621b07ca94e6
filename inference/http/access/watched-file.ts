/**
 * A small file whose newest usable content is in use without a restart. It is read again and again rather than watched: Kubernetes
 * exchanges a mounted Secret by moving a symbolic link above the file, which watchers of the file do not see.
 */
import { readFile } from 'node:fs/promises';
import { messageOf, StartupError } from '../../errors.ts';
import type { Logger } from '../../observability/logger.ts';

export interface WatchedFileOptions<T> {
  readonly path: string;
  /** @throws Error with one line that repeats no secret of the content */
  readonly parse: (text: string) => T;
  readonly logger: Logger;
  /** Told at the beginning and at every change whether the newest content is in use. */
  readonly onChange?: (usable: boolean) => void;
  readonly intervalMs?: number;
}

const defaultIntervalMs = 2_000;

export class WatchedFile<T> {
  readonly #options: WatchedFileOptions<T>;
  readonly #timer: NodeJS.Timeout;
  #text: string;
  #current: T;
  #problem: string | undefined;
  #reading = false;

  private constructor(options: WatchedFileOptions<T>, text: string, current: T) {
    this.#options = options;
    this.#text = text;
    this.#current = current;
    options.onChange?.(true);
    this.#timer = setInterval(() => void this.#reload(), options.intervalMs ?? defaultIntervalMs).unref();
  }

  /** @throws StartupError when the file cannot be read or used */
  static async open<T>(options: WatchedFileOptions<T>): Promise<WatchedFile<T>> {
    try {
      const text = await readFile(options.path, 'utf8');
      return new WatchedFile(options, text, options.parse(text));
    } catch (error) {
      throw new StartupError(`${options.path}: ${messageOf(error)}`, 2, { cause: error });
    }
  }

  /** The newest content that was usable. */
  get current(): T {
    return this.#current;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #reload(): Promise<void> {
    if (this.#reading) return;
    this.#reading = true;
    try {
      const text = await readFile(this.#options.path, 'utf8');
      if (text !== this.#text || this.#problem !== undefined) this.#use(text);
    } catch (error) {
      this.#keep(messageOf(error));
    } finally {
      this.#reading = false;
    }
  }

  #use(text: string): void {
    const { path, parse, logger, onChange } = this.#options;
    this.#current = parse(text);
    this.#text = text;
    this.#problem = undefined;
    logger.info({ path }, 'the new content of the file is in use');
    onChange?.(true);
  }

  /** One line for a broken content, however often it is read. */
  #keep(problem: string): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    const { path, logger, onChange } = this.#options;
    logger.error(
      { path, problem },
      'the file cannot be used: its last usable content stays in use; repair it',
    );
    onChange?.(false);
  }
}
