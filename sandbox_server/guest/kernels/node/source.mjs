// From the text of a cell to a script that V8's REPL mode takes: types stripped, imports turned into calls.

import { createRequire, stripTypeScriptTypes } from 'node:module';
import path from 'node:path';
import process from 'node:process';
import vm from 'node:vm';

const ACORN_OPTIONS = {
  ecmaVersion: 'latest',
  sourceType: 'script',
  allowAwaitOutsideFunction: true,
  allowImportExportEverywhere: true,
};

let acorn; // Loaded when first needed: most cells import nothing.
const parse = (code) => {
  acorn ??= createRequire(`${process.argv[2]}/`)('acorn');
  return acorn.parse(code, ACORN_OPTIONS);
};

let boundTo = null;
let load = null;

/** Make `require` and `import()` resolve from the working directory, where the user's node_modules is. */
export function bindModules() {
  const cwd = process.cwd();
  if (cwd === boundTo) return;
  boundTo = cwd;
  const filename = path.join(cwd, 'cell.js');
  const module = { exports: {}, filename, id: '.' };
  const require = Object.assign(createRequire(filename), { main: module });
  Object.assign(globalThis, { require, module, exports: module.exports, __filename: filename, __dirname: cwd });
  // An import() resolves from the file it is written in, so it has to be "written" there.
  load = new vm.Script('(specifier, options) => import(specifier, options)', {
    filename,
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  }).runInThisContext();
}

/** What `import(...)` and `import.meta` become in a cell. */
export const importFromCell = (specifier, options) => load(specifier, options);
export const cellMeta = () => ({
  url: `file://${path.join(boundTo, 'cell.js')}`,
  dirname: boundTo,
  filename: path.join(boundTo, 'cell.js'),
});

/** Return the script for a cell. Line numbers stay as they are, but for TypeScript that needs more than stripping. */
export function prepare(code, language) {
  let script = language === 'typescript' ? stripTypes(code) : code;
  if (/^\s*\{/.test(script)) script = asObjectLiteral(script);
  return /\b(import|export)\b/.test(script) ? rewriteModuleSyntax(script) : script;
}

function stripTypes(code) {
  try {
    return stripTypeScriptTypes(code); // Types become spaces: positions in errors stay right.
  } catch (error) {
    if (error.code !== 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX') throw error;
    return stripTypeScriptTypes(code, { mode: 'transform' }); // Enums, namespaces, parameter properties.
  }
}

/** `{ a: 1 }` alone is an object for whoever types it, as in Node's REPL. */
function asObjectLiteral(code) {
  try {
    parse(`(${code}\n)`);
    return `(${code}\n)`;
  } catch {
    return code;
  }
}

function rewriteModuleSyntax(code) {
  let tree;
  try {
    tree = parse(code);
  } catch {
    return code; // V8 says better what is wrong with it.
  }
  const edits = [];
  visit(tree, (node) => {
    const replacement = REWRITES[node.type]?.(node, code);
    if (replacement !== undefined) edits.push(replacement);
  });
  edits.sort((a, b) => b.start - a.start);
  return edits.reduce((text, { start, end, by }) => {
    const lines = text.slice(start, end).split('\n').length - by.split('\n').length;
    return text.slice(0, start) + by + '\n'.repeat(Math.max(0, lines)) + text.slice(end);
  }, code);
}

function visit(node, see) {
  see(node);
  for (const child of Object.values(node)) {
    for (const item of Array.isArray(child) ? child : [child]) {
      if (typeof item?.type === 'string') visit(item, see);
    }
  }
}

const REWRITES = {
  ImportDeclaration: (node) => ({ ...range(node), by: importStatement(node) }),
  ImportExpression: ({ start }) => ({ start, end: start + 'import'.length, by: '$$.import' }),
  MetaProperty: (node) => (node.meta.name === 'import' ? { ...range(node), by: '$$.meta' } : undefined),
  // A cell has no importers: what it exports is declared, as it would be without the keyword.
  ExportNamedDeclaration: (node) =>
    node.declaration ? { start: node.start, end: node.declaration.start, by: '' } : { ...range(node), by: '' },
  ExportDefaultDeclaration: (node) => ({ start: node.start, end: node.declaration.start, by: '' }),
};

const range = ({ start, end }) => ({ start, end });

function importStatement({ specifiers, source, attributes }) {
  const options = attributes?.length
    ? `, { with: { ${attributes.map(({ key, value }) => `${key.raw ?? key.name}: ${value.raw}`).join(', ')} } }`
    : '';
  const module = `await $$.import(${source.raw}${options})`;
  if (!specifiers.length) return `void (${module});`;
  const names = specifiers
    .filter(({ type }) => type !== 'ImportNamespaceSpecifier')
    .map(({ imported, local }) => `${imported?.raw ?? imported?.name ?? 'default'}: ${local.name}`);
  const namespace = specifiers.find(({ type }) => type === 'ImportNamespaceSpecifier')?.local.name;
  if (!namespace) return `const { ${names.join(', ')} } = ${module};`;
  return `const ${namespace} = ${module}${names.length ? `, { ${names.join(', ')} } = ${namespace}` : ''};`;
}
