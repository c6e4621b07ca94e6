/** How far a fetch is, for whoever asks over HTTP. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { messageOf, StartupError } from '../../errors.ts';

export class Progress {
  readonly #received = new Map<string, number>();
  #totalBytes: number | null = null;

  /** @param totalBytes null where the source does not say */
  expect(totalBytes: number | null): void {
    this.#totalBytes = totalBytes;
  }

  /** `bytes` of one part are there, those of earlier processes included. */
  received(part: string, bytes: number): void {
    this.#received.set(part, bytes);
  }

  get view(): { readonly receivedBytes: number; readonly totalBytes: number | null } {
    const receivedBytes = [...this.#received.values()].reduce((sum, bytes) => sum + bytes, 0);
    return { receivedBytes, totalBytes: this.#totalBytes };
  }
}

/**
 * Answers `GET /progress` on every address of the machine.
 * @returns what ends it
 * @throws StartupError where the port is taken
 */
export async function serveProgress(progress: Progress, port: number): Promise<() => void> {
  const server = createServer((request, response) => {
    const known = request.method === 'GET' && request.url === '/progress';
    const body = known ? progress.view : { error: 'there is only GET /progress here' };
    response.writeHead(known ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  try {
    await once(server.listen(port), 'listening');
  } catch (error) {
    throw new StartupError(
      `fetch: port ${port} cannot be used (${messageOf(error)}); choose another --progress-port`,
      2,
      { cause: error },
    );
  }
  return () => {
    server.closeAllConnections();
    server.close();
  };
}
