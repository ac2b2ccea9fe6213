"""What a repository needs to be released: found out, proposed, written.

A `Tree` is the files of a repository; `describe` concludes from them, and from the `InitOptions` of a person, what the `Repository`
is, and says from which file. `propose_files` asks each member of the family for its files, `compare_file` says as a `FileChange`
what becomes of what stands there, and `write_all` writes all or none. What a team has written is never overwritten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploylib.models.face import look_up_in

if TYPE_CHECKING:
    from deploylib.scaffold.inspection import describe
    from deploylib.scaffold.members import propose_files
    from deploylib.scaffold.repository import InitOptions, Repository, Tree
    from deploylib.scaffold.writing import FileChange, compare_file, write_all

__all__ = ["FileChange", "InitOptions", "Repository", "Tree", "compare_file", "describe", "propose_files", "write_all"]

if not TYPE_CHECKING:  # or a name that is not there would be any name
    __getattr__ = look_up_in(
        __name__,
        {
            "InitOptions": "repository",
            "FileChange": "writing",
            "Repository": "repository",
            "Tree": "repository",
            "compare_file": "writing",
            "describe": "inspection",
            "propose_files": "members",
            "write_all": "writing",
        },
    )
