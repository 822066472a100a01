/** Messages of all shapes that signatures have to survive. In latin1, lines end with CRLF. */
const HEAD = 'From: Jane <jane@example.com>\r\nTo: bob@example.net\r\nSubject: A day\r\n';

export const SAMPLES: Readonly<Record<string, string>> = {
  'a short message': `${HEAD}Date: Sat, 28 Nov 2026 10:00:00 +0000\r\n\r\nHello\r\n`,
  'folded fields': `${HEAD.replace('A day', 'A day\r\n\tin  \r\n November')}\r\nHello\r\n`,
  'bytes above 127 in fields and body': `${HEAD.replace('A day', 'Gr\xfc\xdfe \xc3\xa9')}\r\nGr\xfc\xdfe\r\n`,
  'several fields of a name': `Received: one\r\nReceived: two\r\nReply-To: a@example.com\r\nReply-To: b@example.com\r\n${HEAD}\r\nx\r\n`,
  'no blank after the colon, or many': `From:jane@example.com\r\nTo:   bob@example.net  \r\nSubject:\t\tA \t day \r\n\r\nx\r\n`,
  'empty fields': `${HEAD}Cc:\r\nSubject: \r\nReferences:\r\n\r\nx\r\n`,
  'no Subject, To or Date': 'From: jane@example.com\r\n\r\nx\r\n',
  'an empty body': `${HEAD}\r\n`,
  'no body at all': HEAD,
  'empty lines at the end': `${HEAD}\r\nHello\r\n\r\n\r\n`,
  'only empty lines': `${HEAD}\r\n\r\n\r\n`,
  'a body without a last line end': `${HEAD}\r\nHello\r\nthere`,
  'white space at ends of lines, in lines, and in lines alone': `${HEAD}\r\nHello  \t there \t\r\n\t indented\r\n   \r\n`,
  'a NUL, and a CR': `${HEAD}\r\nnul \0 cr \r here\r\n`,
  'a long line': `${HEAD}\r\n${'x'.repeat(200_000)}\r\n`,
  'names in other letters': 'FROM: jane@example.com\r\nsUBJECT: x\r\nto: bob@example.net\r\n\r\nx\r\n',
  'many fields': `${HEAD}${Array.from({ length: 300 }, (_, i) => `X-Field-${i}: ${i}\r\n`).join('')}\r\nx\r\n`,
};
