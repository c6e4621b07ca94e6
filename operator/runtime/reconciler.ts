import type { Logger } from 'pino';
import type { ObjectKey } from './object.ts';

export interface ReconcileContext {
  /** Aborts when the process stops, leadership is lost or the pass takes too long. Pass it to every call. */
  readonly signal: AbortSignal;
  /** Carries controller, namespace, name and reconcileID. */
  readonly log: Logger;
}

export interface Result {
  /** Look again after this long, ms, even if nothing changes. */
  readonly requeueAfterMs?: number;
}

/**
 * Brings the world to what one object asks for.
 *
 * A reconciler is told *which* object to look at, never *what happened*. Events are lost (a watch breaks, the process
 * restarts), merged (ten changes queue one key) and late (a store lags behind the API server), so whoever acts on an event
 * acts on history. Acting on the level, that is on the state found now, needs no history: the same call repairs a
 * missed event, a half-done earlier pass and a change made by hand. Three rules follow.
 *
 * - **Idempotent.** A second pass on an unchanged world changes nothing. Names of children are functions of the object, so
 *   that a pass which died half-way finds what it made. What has to be remembered is kept in status or on a child, never
 *   in the process.
 * - **Never concurrent with itself.** One key is worked by one worker at a time; different keys run in parallel. The store
 *   may still be older than the last write: a child just created may seem absent. Server-side apply makes that harmless.
 * - **Short.** Do not wait for anything in a pass. Return, and be called again by the watch on what changes, or by
 *   `requeueAfterMs` where time itself is what changes (a retry, a deadline).
 *
 * What to return or throw:
 * - `{}`: done until something changes that is watched. The failure count of the key is reset.
 * - `{ requeueAfterMs }`: the same, and look again later. An event before that is worked at once.
 * - an error: the key comes back with exponential backoff. Conflicts and unreachable servers belong here: throw, do not
 *   loop inside.
 * - a `TerminalError`: logged and counted, not retried. For what only a change of the object can mend.
 *
 * What is wrong with the *object* is not an error of the pass: say it in a condition and return.
 */
export interface Reconciler {
  reconcile(key: ObjectKey, context: ReconcileContext): Promise<Result>;
}
