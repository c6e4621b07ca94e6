import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ServiceError } from '../errors.ts';
import { linkedMediaBody } from './json-media.ts';
import { modelsField, modelsMember, wantedOf } from './model-selection.ts';

describe('the models of a request', () => {
  test('are read from text and from JSON', () => {
    const rows = [
      { text: 'a,b', models: ['a', 'b'] },
      { text: ' a , b ', models: ['a', 'b'] },
      { text: '["a","b"]', models: ['a', 'b'] },
      { text: 'all', models: 'all' },
      { text: ' Auto ', models: 'all' },
      { text: '', models: undefined },
    ];
    for (const { text, models } of rows) {
      assert.deepEqual(modelsField.parse(text), models, text);
      assert.deepEqual(modelsMember.parse(text), models, text);
    }
    assert.deepEqual(modelsMember.parse(['a', 'b']), ['a', 'b']);
    assert.deepEqual(modelsMember.parse(['all']), 'all');
    const body = linkedMediaBody.parse({ url: 'https://example.com/a', models: ['a', 'b'] });
    assert.deepEqual(body.models, ['a', 'b']);
  });

  test('are refused where they cannot be read', () => {
    const many = Array.from({ length: 33 }, (_, index) => `m${index}`);
    for (const text of ['a,,b', ',', '[]', '["a"', '[1]', many.join(',')])
      assert.equal(modelsField.safeParse(text).success, false, text);
    for (const value of [[], [1], { a: 1 }, 7, many])
      assert.equal(modelsMember.safeParse(value).success, false, JSON.stringify(value));
  });

  test('come from the body or from the query', () => {
    assert.deepEqual(wantedOf({}, {}), {});
    assert.deepEqual(wantedOf({ model: 'a' }, { model: undefined, models: undefined }), { model: 'a' });
    assert.deepEqual(wantedOf({}, { models: 'all' }), { models: 'all' });
    for (const [body, query] of [
      [{ model: 'a', models: ['a'] }, {}],
      [{ model: 'a' }, { model: 'a' }],
      [{ models: ['a'] }, { model: 'b' }],
    ] as const)
      assert.throws(
        () => wantedOf(body, query),
        (error: ServiceError) => error.code === 'invalid_request',
      );
  });
});
