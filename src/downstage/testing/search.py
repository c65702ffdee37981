"""Search domains in memory: indices of documents by id."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import orjson

from downstage.errors import NotFound
from downstage.ports import Document, Made, NewDocument


class MemoryIndex:
    """Implements `ports.SearchIndex`: one domain's data. `data` is documents by id, by index; `routing` by id;
    `definitions` what each index was made with. `answer` may refuse a document that is to be made."""

    def __init__(self, domain: str, writes: list[str]) -> None:
        self.data: dict[str, dict[str, Mapping[str, Any]]] = {}
        self.routing: dict[str, str] = {}
        self.definitions: dict[str, Mapping[str, Any]] = {}
        self.answer: Callable[[NewDocument], Made | None] = lambda _document: None
        self._domain = domain
        self._writes = writes

    def put(self, index: str, document_id: str, document: Mapping[str, Any]) -> None:
        """Indexes one document, as a consumer does; makes the index if need be."""
        self.data.setdefault(index, {})[document_id] = document

    def indices(self) -> Sequence[str]:
        """Their names."""
        return sorted(self.data)

    def writable(self) -> Collection[str]:
        """Indices, and their aliases."""
        aliases = {alias for made in self.definitions.values() for alias in made.get("aliases", {})}
        return {*self.data, *aliases}

    def count(self, index: str) -> int:
        """Documents in the index; 0 if there is none."""
        return len(self.data.get(index, {}))

    def documents(self, index: str) -> Iterator[Document]:
        """Every document."""
        for document_id, source in list(self.data.get(index, {}).items()):
            yield Document(document_id, source, self.routing.get(document_id))

    def definition(self, index: str) -> Mapping[str, Any]:
        """What `create` takes."""
        if index not in self.data:
            raise NotFound(f"there is no index {index}")
        return self.definitions.get(index, {"mappings": {}})

    def create(self, index: str, definition: Mapping[str, Any]) -> None:
        """Makes it; one that is there is fine."""
        self._writes.append(f"create index {index}")
        if index not in self.data:
            self.data[index] = {}
            self.definitions[index] = definition

    def make(self, documents: Sequence[NewDocument]) -> Sequence[Made]:
        """Makes those that are not there."""
        self._writes.append(f"make documents in {self._domain}")
        return [self._made(document) for document in documents]

    def _made(self, document: NewDocument) -> Made:
        refused = self.answer(document)
        if refused is not None:
            return refused
        if document.document_id in self.data.get(document.index, {}):
            return Made(409, "version_conflict_engine_exception")
        self.put(document.index, document.document_id, orjson.loads(document.source))
        return Made(201)

    def delete(self, index: str) -> None:
        """Deletes it; an absent one is fine."""
        self._writes.append(f"delete index {index}")
        self.data.pop(index, None)
        self.definitions.pop(index, None)


class MemoryDomains:
    """Implements `ports.SearchDomains`. `domains` by name."""

    def __init__(self, writes: list[str]) -> None:
        self.domains: dict[str, MemoryIndex] = {}
        self._made: dict[str, int] = {}
        self._writes = writes

    def names(self) -> Sequence[str]:
        """Every domain."""
        return sorted(self.domains)

    def description(self, domain: str) -> Mapping[str, Any] | None:
        """Something, or None if there is no such domain."""
        return {"DomainName": domain} if domain in self.domains else None

    def identity(self, domain: str) -> str | None:
        """The how manieth of its name it is."""
        return f"made {self._made[domain]}" if domain in self.domains else None

    def configuration(self, domain: str) -> Mapping[str, Any] | None:
        """What `restore` takes."""
        status = self.description(domain)
        return None if status is None or status.get("Deleted") else {"EngineVersion": "OpenSearch_2.11"}

    def create(self, domain: str, description: Mapping[str, Any]) -> None:
        """Makes it; one that is there is fine."""
        self._writes.append(f"create domain {domain}")
        if domain not in self.domains:
            self.domains[domain] = MemoryIndex(domain, self._writes)
            self._made[domain] = self._made.get(domain, 0) + 1

    def restore(self, domain: str, configuration: Mapping[str, Any]) -> None:
        """Makes it; one that is there is fine."""
        self.create(domain, configuration)

    def delete(self, domain: str) -> bool:
        """Deletes it; False if it was not there."""
        self._writes.append(f"delete domain {domain}")
        return self.domains.pop(domain, None) is not None

    def index(self, domain: str) -> MemoryIndex:
        """Its data. Raises NotFound."""
        if domain not in self.domains:
            raise NotFound(f"there is no search domain {domain}")
        return self.domains[domain]
