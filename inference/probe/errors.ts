/** Why nothing could be measured. */
export type ProbeReason =
  /** The labelled media are not what they have to be; another try needs other ones. */
  | 'InvalidMedia'
  /** The media could not be fetched. */
  | 'MediaUnreachable'
  /** The API key is not accepted. */
  | 'Unauthorized'
  /** There is no such model, or it judges other media. */
  | 'NoModel'
  /** One address answers for several packages. */
  | 'MixedModels'
  /** Not one file was answered. */
  | 'NothingAnswered';

const transient: ReadonlySet<ProbeReason> = new Set(['MediaUnreachable', 'NothingAnswered', 'MixedModels']);

export class ProbeError extends Error {
  override readonly name = 'ProbeError';
  readonly reason: ProbeReason;

  constructor(reason: ProbeReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }

  get transient(): boolean {
    return transient.has(this.reason);
  }
}
