/** Bodies of the protocol are in memory as a whole: all together have a limit. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { serviceError } from '../../errors.ts';

/** Bodies of the largest size that may be there at a time. */
const largestBodies = 4;

export class BodyMemory {
  readonly #bodyLimit: number;
  #held = 0;

  /** @param bodyLimit bytes of one body */
  constructor(bodyLimit: number) {
    this.#bodyLimit = bodyLimit;
  }

  /**
   * Counts the body of a request, before it comes, until the connection is done with its answer. One that does not tell its length counts
   * as the largest.
   * @throws ServiceError upload_too_large, tensors_full
   */
  hold({ headers }: Pick<FastifyRequest, 'headers'>, reply: Pick<FastifyReply, 'raw'>): void {
    const bytes = Number(headers['content-length'] ?? this.#bodyLimit);
    if (bytes > this.#bodyLimit) throw serviceError('upload_too_large', { limitBytes: this.#bodyLimit });
    const limitBytes = this.#bodyLimit * largestBodies;
    if (this.#held + bytes > limitBytes) throw serviceError('tensors_full', { limitBytes });
    this.#held += bytes;
    reply.raw.once('close', () => {
      this.#held -= bytes;
    });
  }
}
