"""What one refresh is to do (`build`), and what it must never do (`guards`). Nothing here touches AWS."""
