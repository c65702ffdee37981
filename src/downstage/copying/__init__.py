"""The copy loop and what paces it. Pure: it is handed a reader, a mask, a writer and a journal."""
