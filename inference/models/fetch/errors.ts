/** Why a package could not be fetched: a stable reason for the operator, and whether trying again can help. */

const transient = { SourceUnreachable: true, NoSpace: true } as const;

export type FetchReason =
  | 'DigestMismatch'
  | 'InvalidPackage'
  | 'PackageTooLarge'
  | 'UnknownBuiltin'
  | 'SourceNotFound'
  | 'SourceUnreachable'
  | 'NoSpace';

export class FetchError extends Error {
  override readonly name = 'FetchError';
  readonly reason: FetchReason;

  constructor(reason: FetchReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }

  /** Another attempt with the same arguments may succeed. */
  get transient(): boolean {
    return this.reason in transient;
  }
}

/** Turns a full disk into `NoSpace`; leaves everything else as it is. */
export function asFetchError(error: unknown, directory: string): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error;
  return new FetchError('NoSpace', `${directory}: the volume is full; give the model a larger one`, {
    cause: error,
  });
}
