/** What is wrong with an object's children, in the shape of a condition's reason and message. */
import { ApiError, isInvalid } from '../runtime/errors.ts';

export interface Problem {
  readonly reason: string;
  readonly message: string;
}

export const conflict = (kind: string, name: string): Problem => ({
  reason: 'OwnershipConflict',
  message: `${kind} ${name} exists and belongs to somebody else: delete or rename it`,
});

/** The API server's refusal of a child, as something to tell; everything else is thrown on. */
export function refused(kind: string, name: string, error: unknown): Problem {
  if (!(error instanceof ApiError) || !isInvalid(error)) throw error;
  return { reason: 'ChildRejected', message: `the API server refused ${kind} ${name}: ${error.detail}` };
}
