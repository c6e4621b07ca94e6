/** What is wrong with an object's children, in the shape of a condition's reason and message. */
import type { z } from 'zod';
import { ApiError, isConflict, isInvalid, isNamespaceTerminating, TerminalError } from '../runtime/errors.ts';

export interface Problem {
  readonly reason: string;
  readonly message: string;
}

export const CHILD_REJECTED = 'ChildRejected';

export const conflict = (kind: string, name: string): Problem => ({
  reason: 'OwnershipConflict',
  message: `${kind} ${name} exists and belongs to somebody else: delete or rename it`,
});

/** The API server's refusal of a child, as something to tell; everything else is thrown on. */
export function refused(kind: string, name: string, error: unknown): Problem {
  if (!(error instanceof ApiError) || !(isInvalid(error) || isUnanswered(error))) throw error;
  return {
    reason: refusalReason(error.detail) ?? CHILD_REJECTED,
    message: `the API server refused ${kind} ${name}: ${error.detail}`,
  };
}

/** A webhook of somebody else that is down keeps the child away until a person looks after it. */
const isUnanswered = ({ status, detail }: ApiError) =>
  status === 500 && detail.includes('failed calling webhook');

/**
 * The API server's failure about a child that nothing else waits for, as something to tell: its kind has just gone, or a webhook
 * of it does not answer. What another pass answers by itself is thrown on.
 */
export function unavailable(kind: string, name: string, error: unknown): Problem {
  if (!(error instanceof ApiError) || isConflict(error) || isNamespaceTerminating(error)) throw error;
  return { reason: CHILD_REJECTED, message: `the API server failed over ${kind} ${name}: ${error.detail}` };
}

/** What admission says in words alone, of a child or of a pod that a controller could not make. */
export function refusalReason(message: string): string | undefined {
  if (message.includes('exceeded quota')) return 'QuotaExceeded';
  return message.includes('violates PodSecurity') ? 'PodSecurityViolation' : undefined;
}

/** What status says of a spec that parseSpec refuses; anything else is thrown on. */
export function invalidSpec(error: unknown): Problem {
  if (!(error instanceof TerminalError)) throw error;
  return { reason: 'InvalidSpec', message: error.message.slice(0, 4096) };
}

/** A spec with its defaults. One that the API server took but this schema does not was checked by another version's definition. */
export function parseSpec<T extends z.ZodType>(schema: T, spec: unknown): z.output<T> {
  const { success, data, error } = schema.safeParse(spec);
  if (success) return data;
  const issues = error.issues.map(({ path, message }) => `spec.${path.join('.')}: ${message}`);
  throw new TerminalError(`${issues.join('; ')}: are the installed definitions of this version?`);
}
