import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { describe, test } from 'node:test';
import type { FastifyReply } from 'fastify';
import { ServiceError } from '../../errors.ts';
import { BodyMemory } from './body-memory.ts';

const hasCode = (code: string) => (error: unknown) => error instanceof ServiceError && error.code === code;

/** Holds a body of so many bytes; undefined for one that does not tell its length. */
function hold(memory: BodyMemory, bytes?: number): EventEmitter {
  const raw = new EventEmitter();
  const headers = bytes === undefined ? {} : { 'content-length': String(bytes) };
  memory.hold({ headers }, { raw } as unknown as Pick<FastifyReply, 'raw'>);
  return raw;
}

describe('the memory for bodies', () => {
  test('holds four of the largest', () => {
    const memory = new BodyMemory(100);
    for (let held = 0; held < 4; held += 1) hold(memory, 100);
    assert.throws(() => hold(memory, 1), hasCode('tensors_full'));
  });

  test('has room again when an answer is done', () => {
    const memory = new BodyMemory(100);
    const [first] = [hold(memory, 100), hold(memory, 100), hold(memory, 100), hold(memory, 100)];
    first.emit('close');
    hold(memory, 100);
    assert.throws(() => hold(memory, 1), hasCode('tensors_full'));
  });

  test('counts a body without a length as the largest', () => {
    const memory = new BodyMemory(100);
    for (let held = 0; held < 4; held += 1) hold(memory);
    assert.throws(() => hold(memory, 1), hasCode('tensors_full'));
  });

  test('refuses a body that is larger than any may be', () => {
    assert.throws(() => hold(new BodyMemory(100), 101), hasCode('upload_too_large'));
  });
});
