/** Issues tokens for tests, as an identity provider does. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose';

export const issuer = 'https://id.example';
export const audience = 'deepfake';

export interface TokenOptions {
  /** Merged over the claims of a token that is good for `predict`; undefined leaves a claim out. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Seconds from now; negative for a token that has expired. */
  readonly validS?: number;
}

/** A key pair of one algorithm, and tokens that are signed with it. */
export async function tokenIssuer(alg: string, kid: string) {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return {
    publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' },
    privateJwk: { ...(await exportJWK(privateKey)), kid, alg },
    publicPem: await exportSPKI(publicKey),
    sign: (options: TokenOptions = {}) => signed(options).setProtectedHeader({ alg, kid }).sign(privateKey),
  };
}

/** A token that is signed with bytes. */
export function secretToken(secret: string | Uint8Array, options: TokenOptions = {}): Promise<string> {
  const bytes = typeof secret === 'string' ? Buffer.from(secret) : secret;
  return signed(options).setProtectedHeader({ alg: 'HS256', kid: 'one' }).sign(bytes);
}

function signed({ claims = {}, validS = 60 }: TokenOptions): SignJWT {
  const exp = Math.floor(Date.now() / 1000) + validS;
  const payload = { iss: issuer, aud: audience, sub: 'ada', exp, scope: 'predict', ...claims };
  return new SignJWT(JSON.parse(JSON.stringify(payload)));
}

interface KeySetState {
  keys: readonly object[];
  status: number;
  requests: number;
  answer: ((response: ServerResponse) => void) | undefined;
}

/**
 * A key set at an address of this machine. What it answers can be changed, with `answer` as a whole; `requests` counts who asked.
 */
export async function serveKeySet(keys: readonly object[]) {
  const state: KeySetState = { keys, status: 200, requests: 0, answer: undefined };
  const server = createServer((_request, response) => {
    state.requests += 1;
    response.statusCode = state.status;
    if (state.answer === undefined) response.end(JSON.stringify({ keys: state.keys }));
    else state.answer(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(state, {
    url: new URL(`http://127.0.0.1:${port}/keys`),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}
