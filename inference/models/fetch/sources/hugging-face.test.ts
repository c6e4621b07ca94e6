import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileUrl } from './hugging-face.ts';

const rows: [string, object, string, string][] = [
  ['at the root', {}, 'model.yaml', 'https://huggingface.co/team/voice/resolve/main/model.yaml'],
  [
    'in a folder',
    { path: 'onnx/fp 32' },
    'golden/a.wav',
    'https://huggingface.co/team/voice/resolve/main/onnx/fp%2032/golden/a.wav',
  ],
  [
    'of a revision with slashes',
    { revision: 'refs/pr/1' },
    'a',
    'https://huggingface.co/team/voice/resolve/refs%2Fpr%2F1/a',
  ],
  [
    'of a mirror',
    { endpoint: 'https://example.org/hub/' },
    'a',
    'https://example.org/hub/team/voice/resolve/main/a',
  ],
];
for (const [name, more, file, url] of rows) {
  test(`the address of a file ${name}`, () => {
    const source = {
      repository: 'team/voice',
      revision: 'main',
      endpoint: 'https://huggingface.co',
      ...more,
    };
    assert.equal(fileUrl(source, file), url);
  });
}
