/** The module `uri`. */
import type { Chapter } from '../entry.ts';

export const uriApi = {
  title: 'URIs',
  doc: 'Addresses of the web in text. Nothing here asks anybody.',
  entries: [
    {
      kind: 'function',
      name: 'uri.found',
      pure: true,
      params: [{ name: 'text', type: 'string', doc: 'plain text or HTML; at most 1 MiB of it is looked at' }],
      results: [
        {
          type: 'string[]',
          doc: 'each once, in the order in which they stand there, at most 1,000; `www.x` gets `http://` in front',
        },
      ],
      doc: 'The URIs in a text: `http:`, `https:`, `ftp:`, and names that begin with `www.`. In HTML those of attributes too, with their character references decoded.',
      example: 'for _, address in ipairs(uri.found(text)) do print(address) end',
    },
    {
      kind: 'function',
      name: 'uri.parse',
      pure: true,
      params: [{ name: 'address', type: 'string', sample: '"https://example.com/"', doc: 'a URI' }],
      results: [
        {
          type: 'uri.parts|nil',
          doc: 'its parts, as a browser reads them; nil for what is no URI with a host',
        },
      ],
      doc: 'The parts of a URI. A host in numbers of any form is an address in its usual form, one beyond ASCII is in A-labels.',
      example:
        'local parts = uri.parse(address)\nif parts and net.domain(parts.host) == "example.com" then return end',
    },
    {
      kind: 'class',
      name: 'uri.parts',
      doc: 'What a URI is made of; what is not there is nil',
      fields: [
        { name: 'scheme', type: 'string', lowerCase: true, doc: 'without colon' },
        { name: 'user', type: 'string|nil', doc: 'what stands before `@`' },
        { name: 'host', type: 'string', lowerCase: true, doc: 'name or address; IPv6 without brackets' },
        { name: 'port', type: 'integer|nil', doc: 'where it is not that of the scheme' },
        { name: 'path', type: 'string', doc: 'with its slash' },
        { name: 'query', type: 'string|nil', doc: 'without question mark' },
        { name: 'fragment', type: 'string|nil', doc: 'without number sign' },
      ],
    },
  ],
} as const satisfies Chapter;
