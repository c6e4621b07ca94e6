/** Server-sent events over one answer: opened late, kept alive, cut when the client does not read. */
import type { FastifyReply } from 'fastify';

export interface ServerSentEvent {
  readonly event: string;
  /** Sent again by a client that comes back, as Last-Event-ID. */
  readonly id?: string;
  /** Anything that JSON can say. */
  readonly data: unknown;
}

const heartbeatMs = 15_000;
/** A client that has not read so much is cut off. */
const maxBacklogBytes = 256 * 1024;

export class EventStream {
  readonly #reply: FastifyReply;
  readonly #heartbeat: NodeJS.Timeout;

  /** Until the first event or heartbeat the answer can still be another one: nothing is sent before. */
  constructor(reply: FastifyReply) {
    this.#reply = reply;
    this.#heartbeat = setInterval(() => this.#write(': still here\n\n'), heartbeatMs);
    reply.raw.once('close', () => clearInterval(this.#heartbeat));
  }

  get isOpen(): boolean {
    return this.#reply.raw.headersSent;
  }

  /** Begins the answer, with what its headers are by now. */
  open(): void {
    if (this.isOpen) return;
    const { raw } = this.#reply;
    for (const [name, value] of Object.entries(this.#reply.getHeaders()))
      if (value !== undefined) raw.setHeader(name, value);
    this.#reply.hijack();
    raw.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      // Not to be used again: a server that stops waits for no connection that was a stream.
      connection: 'close',
    });
    raw.flushHeaders();
  }

  send({ event, id, data }: ServerSentEvent): void {
    const idLine = id === undefined ? '' : `id: ${id}\n`;
    this.#write(`event: ${event}\n${idLine}data: ${JSON.stringify(data)}\n\n`);
  }

  /** Ends the answer after what was sent. */
  end(): void {
    this.release();
    const { raw } = this.#reply;
    if (!raw.destroyed && !raw.writableEnded) raw.end();
  }

  /** For an answer that became another one. */
  release(): void {
    clearInterval(this.#heartbeat);
  }

  #write(text: string): void {
    const { raw } = this.#reply;
    if (raw.destroyed || raw.writableEnded) return;
    if (raw.writableLength > maxBacklogBytes) {
      raw.destroy();
      return;
    }
    this.open();
    raw.write(text);
  }
}
