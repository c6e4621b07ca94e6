import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { inTemporaryFolder } from '../testing/media.ts';
import { sniffMedia } from './sniff.ts';

describe('a file that names other files', () => {
  const rows = [
    { text: '#EXTM3U\n#EXT-X-VERSION:3\nhttp://127.0.0.1/a.ts\n', found: /HLS playlist/ },
    { text: '\ufeff#EXTM3U\n/etc/passwd\n', found: /HLS playlist/ },
    { text: "ffconcat version 1.0\nfile '/etc/passwd'\n", found: /concat/ },
    { text: 'v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n', found: /SDP/ },
    { text: '[playlist]\nFile1=/etc/passwd\n', found: /PLS/ },
    { text: 'REM GENRE x\nFILE "/etc/passwd" WAVE\n', found: /cue sheet/ },
    {
      text: '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011">',
      found: /streaming manifest/,
    },
    { text: '<smil><body/></smil>', found: /streaming manifest/ },
  ];
  for (const { text, found } of rows) {
    test(`is refused as what it is: ${JSON.stringify(text.slice(0, 20))}`, async () => {
      await inTemporaryFolder(async (folder) => {
        const path = join(folder, 'upload');
        await writeFile(path, text);
        const media = await sniffMedia({ path });
        assert.ok(media.kind === 'unsupported');
        assert.match(media.found, found);
      });
    });
  }
});
