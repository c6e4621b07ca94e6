import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { AuditLog, addCounts, countRequests } from './audit.ts';

const line = (verb: string, resource: string, rest: { code?: number; stage?: string; sub?: string } = {}) => {
  const { code = 200, stage = verb === 'watch' ? 'ResponseStarted' : 'ResponseComplete', sub } = rest;
  const objectRef = { resource, ...(sub === undefined ? {} : { subresource: sub }) };
  return `${JSON.stringify({ stage, verb, objectRef, responseStatus: { code } })}\n`;
};

test('requests are counted by what they do', () => {
  const counts = countRequests(
    line('get', 'services', { code: 404 }) +
      line('patch', 'services') +
      line('patch', 'modeldeployments', { sub: 'status' }) +
      line('create', 'events') +
      line('list', 'pods'),
  );
  assert.deepEqual(counts, {
    total: 5,
    gets: 1,
    lists: 1,
    watches: 0,
    writes: 2,
    events: 1,
    leases: 0,
    refused: 1,
    byRequest: {
      'get services': 1,
      'patch services': 1,
      'patch modeldeployments/status': 1,
      'create events': 1,
      'list pods': 1,
    },
  });
});

test('what keeps a Lease is counted apart', () => {
  const { total, leases } = countRequests(line('get', 'leases') + line('patch', 'leases'));
  assert.deepEqual([total, leases], [0, 2]);
});

test('a watch counts once, when it begins', () => {
  const text = line('watch', 'pods') + line('watch', 'pods', { stage: 'ResponseComplete' });
  assert.equal(countRequests(text).watches, 1);
});

test('sums of pieces are the counts of the whole', () => {
  const [a, b] = [line('get', 'pods') + line('get', 'leases'), line('get', 'pods', { code: 500 })];
  assert.deepEqual(addCounts(countRequests(a), countRequests(b)), countRequests(a + b));
});

test('a line that is still being written is left for the next time', () => {
  const folder = mkdtempSync(join(tmpdir(), 'audit-'));
  try {
    const path = join(folder, 'audit.log');
    const second = line('patch', 'pods');
    writeFileSync(path, line('get', 'pods') + second.slice(0, 20));
    const log = new AuditLog(path);
    assert.deepEqual(log.take().byRequest, { 'get pods': 1 });
    appendFileSync(path, second.slice(20));
    assert.deepEqual(log.take().byRequest, { 'patch pods': 1 });
    assert.equal(log.take().total, 0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
