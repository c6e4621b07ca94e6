/** The audit trail: one line per verdict and per refusal, with who, what and which model, and nothing that is secret or private. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { type ErrorCode, messageOf, StartupError } from '../../errors.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Principal } from './principal.ts';

/** Who asked for what. */
export interface Caller {
  /** How they proved who they are. */
  readonly method: Principal['method'];
  /** Name of the key or `sub` of the token; `anonymous` for none. Null when what was presented proves nothing. */
  readonly subject: string | null;
  readonly address: string;
  /** The route's pattern. */
  readonly route: string;
}

interface AuditedExchange extends Caller {
  readonly request_id: string;
  readonly status: number;
  /** Milliseconds since the request began. */
  readonly ms: number;
}

/** Field names are a contract with those who read the trail. */
export type AuditRecord = AuditedExchange &
  (
    | { readonly event: 'refusal'; readonly error: ErrorCode }
    | {
        readonly event: 'decision';
        /** Of the media, 64 hexadecimal digits. */
        readonly sha256: string;
        /** Serving name; null when the analysis failed before a model was chosen. */
        readonly model: string | null;
        readonly model_digest: string | null;
        /** Null when the analysis failed; the score also when nothing could be judged. */
        readonly verdict: string | null;
        readonly score: number | null;
        readonly error: ErrorCode | null;
      }
  );

export interface AuditLog {
  /** Never throws: a full disk must not cost a verdict. */
  write(record: AuditRecord): void;
  close(): void;
}

/**
 * Writes to the log, and to a file where one is named.
 * @throws StartupError when the file cannot be written
 */
export function openAuditLog(path: string | undefined, logger: Logger): AuditLog {
  const file = path === undefined ? undefined : new AuditFile(path, logger);
  return {
    write(record) {
      logger.info({ audit: true, ...record }, 'audit');
      file?.append(record);
    },
    close: () => file?.close(),
  };
}

/** One JSON object per line, appended. Lines are short and go to the page cache: waiting for them costs less than a queue would. */
class AuditFile {
  readonly #path: string;
  readonly #logger: Logger;
  #descriptor: number | undefined;
  #troubled = false;

  constructor(path: string, logger: Logger) {
    this.#path = path;
    this.#logger = logger;
    try {
      this.#descriptor = openSync(path, 'a', 0o640);
    } catch (error) {
      const message = `AUDIT_LOG_FILE: ${path}: cannot be written (${messageOf(error)}); check the folder and its permissions`;
      throw new StartupError(message, 2, { cause: error });
    }
  }

  append(record: AuditRecord): void {
    const line = JSON.stringify({ time: new Date().toISOString(), audit: true, ...record });
    if (this.#descriptor === undefined) return;
    try {
      writeSync(this.#descriptor, `${line}\n`);
      this.#troubled = false;
    } catch (error) {
      this.#failOnce(messageOf(error));
    }
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #failOnce(reason: string): void {
    if (this.#troubled) return;
    this.#troubled = true;
    const message = 'the audit file cannot be written: its records are in this log alone; free its disk';
    this.#logger.error({ path: this.#path, reason }, message);
  }
}
