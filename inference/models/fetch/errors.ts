/** Why a package could not be fetched: a stable reason for the operator, and whether trying again can help. */
import { messageOf } from '../../errors.ts';

const fullCodes: readonly string[] = ['ENOSPC', 'EDQUOT'];
const unusableCodes: readonly string[] = ['EACCES', 'EPERM', 'EROFS', 'EIO', 'ESTALE'];
const transient = {
  SourceUnreachable: true,
  VolumeFull: true,
  VolumeUnusable: true,
  FetchFailed: true,
} as const;

export type FetchReason =
  | 'DigestMismatch'
  | 'InvalidPackage'
  | 'PackageTooLarge'
  | 'UnknownBuiltin'
  | 'SourceNotFound'
  | 'SourceUnauthorized'
  | 'SourceUnreachable'
  | 'VolumeFull'
  /** The volume cannot be read or written. */
  | 'VolumeUnusable'
  /** Something that nobody foresaw. */
  | 'FetchFailed';

export class FetchError extends Error {
  override readonly name = 'FetchError';
  readonly reason: FetchReason;
  /** What the source asks to wait before the next attempt, in milliseconds. */
  readonly waitMs: number;

  constructor(reason: FetchReason, message: string, options?: ErrorOptions & { readonly waitMs?: number }) {
    super(message, options);
    this.reason = reason;
    this.waitMs = options?.waitMs ?? 0;
  }

  /** Another attempt with the same arguments may succeed. */
  get transient(): boolean {
    return this.reason in transient;
  }
}

/** Turns errors of the volume into FetchErrors; leaves everything else as it is. */
export function asFetchError(error: unknown, directory: string): unknown {
  const { code = '', syscall } = (error ?? {}) as NodeJS.ErrnoException;
  // A firewall may answer EPERM or EACCES too; of several addresses that were tried there is no syscall.
  if (syscall === 'connect' || error instanceof AggregateError) return error;
  if (fullCodes.includes(code)) {
    return new FetchError('VolumeFull', `${directory}: the volume is full; give the model a larger one`, {
      cause: error,
    });
  }
  if (unusableCodes.includes(code)) {
    return new FetchError(
      'VolumeUnusable',
      `${directory}: the volume cannot be used (${messageOf(error)}); check that it is writable for this user`,
      { cause: error },
    );
  }
  return error;
}
