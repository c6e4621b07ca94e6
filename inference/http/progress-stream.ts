/** Progress as server-sent events: of the analysis that answers a request, and of the media that a client follows. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { serviceError } from '../errors.ts';
import { isEnd, type ProgressEvent } from '../observability/progress.ts';
import type { ProgressBus } from '../observability/progress-bus.ts';
import { errorAnswer } from './error-view.ts';
import { EventStream } from './event-stream.ts';
import { asServiceError, logFailure } from './failure.ts';

/**
 * Hands the answer of `work` on. A client that accepts `text/event-stream` gets `progress` events while it runs and then the answer as the
 * event `result`, or as `error` what would have been the body. What ends before the first event is answered as for any other client.
 * @throws what `work` throws while nothing was sent
 */
export async function answerWithProgress<T>(
  request: FastifyRequest,
  reply: FastifyReply,
  work: (onProgress?: (event: ProgressEvent) => void) => Promise<T>,
): Promise<T | FastifyReply> {
  if (!acceptsEvents(request)) return work();
  const stream = new EventStream(reply);
  try {
    const answer = await work((event) => {
      // How it ends is said by the last event, with more.
      if (!isEnd(event)) stream.send({ event: 'progress', id: event.id, data: event });
    });
    stream.send({ event: 'result', data: answer });
  } catch (error) {
    if (!stream.isOpen) {
      stream.release();
      throw error;
    }
    const known = asServiceError(error, request);
    logFailure(request, error, known);
    const { body } = errorAnswer(known, request.id, request.routeOptions.config.errors);
    stream.send({ event: 'error', data: body });
  }
  stream.end();
  return reply;
}

function acceptsEvents({ headers }: FastifyRequest): boolean {
  return (headers.accept ?? '').toLowerCase().includes('text/event-stream');
}

export interface FollowerOptions {
  readonly bus: ProgressBus;
  readonly maxStreams: number;
  readonly limitMs: number;
  readonly onCount: (count: number) => void;
}

/** The clients that follow a media, each until an analysis of it ends, a time limit, or the end of the server. */
export class Followers {
  readonly #options: FollowerOptions;
  readonly #ends = new Set<() => void>();
  #isClosed = false;

  constructor(options: FollowerOptions) {
    this.#options = options;
  }

  /**
   * Sends what the client has missed, then what happens.
   * @throws ServiceError too_many_streams; not_ready when the server stops
   */
  follow(reply: FastifyReply, mediaId: string, lastId: string | undefined): void {
    const { bus, maxStreams, limitMs, onCount } = this.#options;
    if (this.#isClosed) throw serviceError('not_ready', { reason: 'the server is shutting down' });
    if (this.#ends.size >= maxStreams) throw serviceError('too_many_streams', { limit: maxStreams });
    const stream = new EventStream(reply);
    const end = () => {
      stopListening();
      clearTimeout(timer);
      this.#ends.delete(end);
      onCount(this.#ends.size);
      stream.end();
    };
    const pass = (event: ProgressEvent) => {
      stream.send({ event: 'progress', id: event.id, data: event });
      if (isEnd(event)) end();
    };
    const stopListening = bus.listen(mediaId, pass);
    const timer = setTimeout(end, limitMs);
    this.#ends.add(end);
    onCount(this.#ends.size);
    reply.raw.once('close', end);
    stream.open();
    for (const event of bus.missed(mediaId, lastId)) pass(event);
  }

  close(): void {
    this.#isClosed = true;
    for (const end of this.#ends) end();
  }
}
