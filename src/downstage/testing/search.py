"""Search domains in memory: indices of documents by id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from downstage.errors import NotFound
from downstage.ports import Document


class MemoryIndex:
    """Implements `ports.SearchIndex`: one domain's data. `data` is documents by id, by index; `routing` by id."""

    def __init__(self, domain: str, writes: list[str]) -> None:
        self.data: dict[str, dict[str, Mapping[str, Any]]] = {}
        self.routing: dict[str, str] = {}
        self._domain = domain
        self._writes = writes

    def put(self, index: str, document_id: str, document: Mapping[str, Any]) -> None:
        """Indexes one document, as a consumer does; makes the index if need be."""
        self.data.setdefault(index, {})[document_id] = document

    def indices(self) -> Sequence[str]:
        """Their names."""
        return sorted(self.data)

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
        return {"mappings": {}}

    def create(self, index: str, definition: Mapping[str, Any]) -> None:
        """Makes it; one that is there is fine."""
        self._writes.append(f"create index {index}")
        self.data.setdefault(index, {})

    def delete(self, index: str) -> None:
        """Deletes it; an absent one is fine."""
        self._writes.append(f"delete index {index}")
        self.data.pop(index, None)


class MemoryDomains:
    """Implements `ports.SearchDomains`. `domains` by name."""

    def __init__(self, writes: list[str]) -> None:
        self.domains: dict[str, MemoryIndex] = {}
        self._writes = writes

    def names(self) -> Sequence[str]:
        """Every domain."""
        return sorted(self.domains)

    def description(self, domain: str) -> Mapping[str, Any] | None:
        """Something, or None if there is no such domain."""
        return {"DomainName": domain} if domain in self.domains else None

    def create(self, domain: str, description: Mapping[str, Any]) -> None:
        """Makes it; one that is there is fine."""
        self._writes.append(f"create domain {domain}")
        self.domains.setdefault(domain, MemoryIndex(domain, self._writes))

    def delete(self, domain: str) -> bool:
        """Deletes it; False if it was not there."""
        self._writes.append(f"delete domain {domain}")
        return self.domains.pop(domain, None) is not None

    def index(self, domain: str) -> MemoryIndex:
        """Its data. Raises NotFound."""
        if domain not in self.domains:
            raise NotFound(f"there is no search domain {domain}")
        return self.domains[domain]
