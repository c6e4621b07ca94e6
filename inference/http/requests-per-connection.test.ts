import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { withTestServer } from '../testing/server.ts';

/** How many connections a client that keeps them takes for its requests, one after the other. */
async function connectionsFor(requests: number, env: Readonly<Record<string, string>>): Promise<number> {
  return withTestServer(async ({ url }) => {
    let connections = 0;
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    agent.createConnection = (options) => {
      connections += 1;
      return connect(options as { port: number; host: string });
    };
    try {
      for (let sent = 0; sent < requests; sent += 1) {
        const asked = request(`${url}/health/live`, { agent }).end();
        const [answer] = (await once(asked, 'response')) as [IncomingMessage];
        assert.equal(answer.statusCode, 200);
        answer.resume();
        await once(answer, 'end');
      }
      return connections;
    } finally {
      agent.destroy();
    }
  }, env);
}

describe('a connection', () => {
  const rows = [
    { name: 'carries any number of requests by default', env: {}, requests: 12, connections: 1 },
    {
      name: 'is closed after the requests that it may carry, and the next takes another',
      env: { MAX_REQUESTS_PER_CONNECTION: '4' },
      requests: 12,
      connections: 3,
    },
    {
      name: 'may carry one request only',
      env: { MAX_REQUESTS_PER_CONNECTION: '1' },
      requests: 3,
      connections: 3,
    },
  ];
  for (const { name, env, requests, connections } of rows) {
    test(name, async () => assert.equal(await connectionsFor(requests, env), connections));
  }
});
